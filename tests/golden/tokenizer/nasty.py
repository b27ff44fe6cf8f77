"""Strings that tokenizers disagree about: every kind of space, combining marks, characters of Unicode 15, 15.1, 16 and 17, digits of
all scripts, NULs, special tokens whole and in part."""
import random

POOLS = [
    "".join(map(chr, range(32, 127))),
    "  \t\n\r\x0b\x0c\x85\xa0\u1680\u2000\u2003\u2009\u200a\u2028\u2029\u202f\u205f\u3000\u200b\ufeff\u180e\x00\x1c\x1f\x7f",
    "0123456789٠٣²³¹¼½Ⅷ一〇①𝟘𝟗\U00011de0\U00016ff4\U0001ccf0\U00011bf0",
    ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'RE", "'LL", "'ſ", "’s", "'", "''"],
    ["é", "e\u0301", "a\u0323\u0307", "a\u0307\u0323", "ñ", "\u212b", "ﬁ", "ẛ̣", "각", "\u1100\u1161\u11a8", "가\u11a8", "\u0958", "\u0344",
     "\u0f77", "\u0130", "ß", "ẞ", "\u1e9b\u0323", "\u0345\u0301", "\u0374", "\u2126", "K", "ſ", "Σς", "\u09c7\u09be", "\u0b47\u0b3e"],
    ["👨‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪", "🫩", "🪿", "🩷", "🫪", "❤️"],
    "\u0300\u0301\u0323\u0327\u0345\u0334\u094d\u200c\u200d\u20dd\u0897\u08d3\u1ac1\u1dfa\U0001e4ec\U00011f02\u0c3c\U000113ce",
    "\u1c89\u1c8a\ua7c0\ua7cb\ua7d8\ua7dc\U000105c0\U000105c9\U00010d4a\U00010d69\U00011380\U000113c5\U00016121\U0001e5d0\U0001ccd6"
    "\U0001cc00\U0002ebf0\U00031350\U000323af\U0001f77f\U0001e030\U00011f50\U00010efd\U0001b132\U00016d40\U00011bc0\U00013460",
    "日本語中文한국어русскийالعربيةहिन्दीไทยქართულიελληνικάעבריתǅǲ",
    ["the ", " the", " and", "ing", "tion", " Hello", " world", "http://", "  ", "    ", "\n\n", "\r\n", " \n", "\n  "],
    "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~«»„“”…—–‐•€£¥©®™°±×÷§¶†‡‰¿¡\u2e5d\u1b7d\u0a76\u166d",
]


def any_character(r):
    while True:
        c = r.randrange(0x110000 if r.random() < 0.3 else 0x3000 if r.random() < 0.7 else 0x20000)
        if not 0xD800 <= c < 0xE000:
            return chr(c)


def nasty(r: random.Random, specials=(), longest=80):
    out = []
    for _ in range(min(longest, r.choice([0, 1, 2, 3, 5, 8, 13, 30, 80]))):
        kind, piece = r.random(), r.choice(r.choice(POOLS))
        if specials and kind < 0.08:
            piece = r.choice(specials)
        elif kind < 0.14:
            piece *= r.choice([1, 2, 3, 5, 20])
        elif kind < 0.22:
            piece = any_character(r)
        elif specials and kind < 0.26:
            whole = r.choice(specials)
            piece = whole[: r.randrange(len(whole) + 1)]
        out.append(piece)
    return "".join(out)
