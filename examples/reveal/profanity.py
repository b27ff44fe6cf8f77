"""How rude a text is, for `unlearn run … --scorer 'command:python3 profanity.py'`: 1 where the package better-profanity (PyPI) finds a word that
it would mask, 0 where it finds none.

Reads {"text": …} and writes {"score": …}, a line for a line.
"""
import json
import sys

from better_profanity import profanity


class Remembered:
    """The package compares every word with some eight hundred spellings one by one; the answer for a word is always the same."""

    def __init__(self, words):
        self.words, self.known = words, {}

    def __contains__(self, word):
        if word not in self.known:
            self.known[word] = word in self.words
        return self.known[word]


def scorer():
    profanity.load_censor_words()
    profanity.CENSOR_WORDSET = Remembered(profanity.CENSOR_WORDSET)
    return profanity.contains_profanity


if __name__ == "__main__":
    rude = scorer()
    for line in sys.stdin:
        print(json.dumps({"score": float(rude(json.loads(line)["text"]))}), flush=True)
