#!/usr/bin/env python3
"""Writes chat.json: conversations rendered by transformers' own jinja environment.

    pip install transformers jinja2
    tests/golden/tokenizer/chat.py

The templates are written here: each says in the shortest way what a family of models writes.
"""
import json
import os

from transformers.utils.chat_template_utils import _compile_jinja_template

HERE = os.path.dirname(os.path.abspath(__file__))
ALTERNATE = "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
WITHOUT_SYSTEM = "{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] %}{% set rest = messages[1:] %}{% else %}{% set rest = messages %}{% endif %}"
GENERATE = "{% if add_generation_prompt %}{{ 'OPEN' }}{% endif %}"


def chatml(default=None):
    first = "" if default is None else (
        "{% if loop.first and m['role'] != 'system' %}{{ '<|im_start|>system\\n" + default + "<|im_end|>\\n' }}{% endif %}")
    return ("{% for m in messages %}" + first + "{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
            + GENERATE.replace("OPEN", "<|im_start|>assistant\\n"))


LLAMA3_TURN = "{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n' + m['content'] | trim + '<|eot_id|>' }}"
LLAMA3_OPEN = GENERATE.replace("OPEN", "<|start_header_id|>assistant<|end_header_id|>\\n\\n")
TEMPLATES = {
    "chatml": chatml(),
    "chatml with a default": chatml("You are a helpful assistant."),
    "chatml with newline and quote": chatml("It\\'s a test.\\nTwo lines."),
    "llama2": WITHOUT_SYSTEM + "{% for m in rest %}" + ALTERNATE +
              "{% if loop.first and system is defined %}{% set text = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + m['content'] %}{% else %}{% set text = m['content'] %}{% endif %}"
              "{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' + text.strip() + ' [/INST]' }}{% else %}{{ ' ' + text.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
    "llama3": "{{ bos_token }}{% for m in messages %}" + LLAMA3_TURN + "{% endfor %}" + LLAMA3_OPEN,
    "llama3.1": "{{ bos_token }}" + WITHOUT_SYSTEM + "{{ '<|start_header_id|>system<|end_header_id|>\\n\\n' + 'Cutting Knowledge Date: December 2023\\n'"
                " + 'Today Date: 26 Jul 2024\\n\\n' + (system | default('')).strip() + '<|eot_id|>' }}{% for m in rest %}" + LLAMA3_TURN + "{% endfor %}" + LLAMA3_OPEN,
    "gemma": "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}{% for m in messages %}" + ALTERNATE +
             "{{ '<start_of_turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\\n' + m['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}"
             + GENERATE.replace("OPEN", "<start_of_turn>model\\n"),
    "gemma3": "{{ bos_token }}" + WITHOUT_SYSTEM + "{% set first_user_prefix = system + '\\n\\n' if system is defined else '' %}{% for m in rest %}" + ALTERNATE +
              "{{ '<start_of_turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\\n' + (first_user_prefix if loop.first else '') }}"
              "{{ m['content'] | trim }}{{ '<end_of_turn>\\n' }}{% endfor %}" + GENERATE.replace("OPEN", "<start_of_turn>model\\n"),
    "mistral": "{{ bos_token }}{% for m in messages %}" + ALTERNATE + "{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
               "{% else %}{{ m['content'] + eos_token }}{% endif %}{% endfor %}",
    "mistral-v1": "{{ bos_token }}{% for m in messages %}" + ALTERNATE + "{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
                  "{% else %}{{ m['content'] + eos_token + ' ' }}{% endif %}{% endfor %}",
    "mistral-spaced": "{{ bos_token }}" + WITHOUT_SYSTEM + "{% for m in rest %}" + ALTERNATE + "{% if m['role'] == 'user' %}{% if loop.first and system is defined %}"
                      "{{ ' [INST] ' + system + '\\n\\n' + m['content'] + ' [/INST]' }}{% else %}{{ ' [INST] ' + m['content'] + ' [/INST]' }}{% endif %}"
                      "{% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}",
    "mistral-v3": "{{ bos_token }}" + WITHOUT_SYSTEM + "{% for m in rest %}" + ALTERNATE + "{% if m['role'] == 'user' %}{% if loop.last and system is defined %}"
                  "{{ '[INST] ' + system + '\\n\\n' + m['content'] + '[/INST]' }}{% else %}{{ '[INST] ' + m['content'] + '[/INST]' }}{% endif %}"
                  "{% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}",
    "zephyr": "{% for m in messages %}\n{% if m['role'] == 'user' %}\n{{ '<|user|>\\n' + m['content'] + eos_token }}\n{% elif m['role'] == 'system' %}\n"
              "{{ '<|system|>\\n' + m['content'] + eos_token }}\n{% elif m['role'] == 'assistant' %}\n{{ '<|assistant|>\\n' + m['content'] + eos_token }}\n{% endif %}\n"
              "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}",
    "qwen": "{% set ns = namespace(last_query_index=-1) %}{% for m in messages %}{% if m['role'] == 'user' %}{% set ns.last_query_index = loop.index0 %}{% endif %}{% endfor %}"
            "{% for m in messages %}{% set content = m['content'] %}{% if m['role'] == 'assistant' %}{% set reasoning_content = '' %}{% if '</think>' in content %}"
            "{% set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}{% set content = content.split('</think>')[-1].lstrip('\\n') %}{% endif %}"
            "{% if loop.index0 > ns.last_query_index and (loop.last or reasoning_content) %}"
            "{{ '<|im_start|>' + m['role'] + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}"
            "{% else %}{{ '<|im_start|>' + m['role'] + '\\n' + content }}{% endif %}{% else %}{{ '<|im_start|>' + m['role'] + '\\n' + content }}{% endif %}{{ '<|im_end|>\\n' }}{% endfor %}"
            + GENERATE.replace("OPEN", "<|im_start|>assistant\\n"),
}
TOKENS = {"llama3": ("<|begin_of_text|>", "<|eot_id|>"), "llama3.1": ("<|begin_of_text|>", "<|eot_id|>"), "gemma": ("<bos>", "<eos>"), "gemma3": ("<bos>", "<eos>")}


def turn(role, content):
    return {"role": role, "content": content}


USER, OTHER = turn("user", "Name a colour."), turn("assistant", "Blue.")
SYSTEM = turn("system", "Answer in one word.")
SPACED = [turn("user", "  two\n lines \u3000\n"), turn("assistant", "\n yes \t"), turn("user", "\tagain\u00a0")]
CONVERSATIONS = [
    [USER], [USER, OTHER], [USER, OTHER, turn("user", "Why?")], [SYSTEM, USER], [SYSTEM, USER, OTHER], [turn("system", "  spaced \n"), *SPACED], SPACED,
    [SYSTEM, USER, OTHER, turn("user", "Why?"), turn("assistant", "")],
    [USER, turn("assistant", "<think>\nHm.\n</think>\n\nBlue."), turn("user", "Why?"), turn("assistant", "<think>\n\nWell.\n\n</think>\n\nBecause.")],
    [USER, turn("assistant", "<think>\nHm.\n</think>\n\nBlue."), turn("user", "Why?")], [USER, USER], [OTHER], [turn("tool", "42")], [turn("user", "")],
]


def render(name, messages, generate):
    if name == "zephyr" and messages[0]["role"] == "tool":
        return None  # its template drops such a turn in silence; here it is refused
    bos, eos = TOKENS.get(name, ("<s>", "</s>"))
    try:
        return _compile_jinja_template(TEMPLATES[name]).render(messages=messages, add_generation_prompt=generate, bos_token=bos, eos_token=eos)
    except Exception:
        return None  # refused by the template


def main():
    out = []
    for name, template in TEMPLATES.items():
        cases = [{"messages": c, "text": render(name, c, False), "generate": render(name, c, True)} for c in CONVERSATIONS]
        out.append({"name": name, "template": template, "cases": cases})
    with open(os.path.join(HERE, "chat.json"), "w") as f:
        json.dump(out, f, separators=(",", ":"))
        f.write("\n")


main()
