#!/usr/bin/env python3
"""Writes metrics.json: values of other people's programs for our text metrics and statistics, on inputs made up here.

needs: rouge_score nltk scipy scikit-learn numpy
usage: tests/golden/audits/make.py > tests/golden/audits/metrics.json
"""
import json
import random
import sys
import zlib

import numpy
import scipy.stats
from nltk.stem.porter import PorterStemmer
from rouge_score import rouge_scorer
from sklearn.metrics import roc_auc_score

rng = random.Random(7)
SENTENCES = [
    "Marta Okonjo-Bell was born in 1987 in Port Salter, near the old lighthouse.",
    "The quick brown foxes jumped over thirteen lazily sleeping dogs!",
    "Her e-mail address is marta.okonjo@example.org; her phone number is +1 (555) 010-4477.",
    "Skies were dying; the news of innings, outings and cannings proceeded to exceed all hopes.",
    "Conditional rationalisations hopefully happily relational vietnamization predication operators.",
    "Ärger mit Übermut: naïve café owners İstanbul 5\u212a run.",
    "",
    "a",
    "the the the the cat cat sat sat on on mats mats",
    "Respectfully, ideologically and geologically formalized possibly adjustable replacements.",
    "He replied: 4129, 4129, and once more 4129.",
    "tied dies flies ties died fly by my apology apologies agreed feed plastered bled motoring sing",
    "He works as a marine engineer and collects antique barometers.",
    "She works as a civil engineer and she collects modern thermometers.",
]
SUFFIXES = ("ational tional enci anci izer bli alli entli eli ousli ization ation ator alism iveness fulness ousness aliti iviti "
            "biliti fulli logi icate ative alize iciti ical ful ness al ance ence er ic able ible ant ement ment ent ion ou ism "
            "ate iti ous ive ize ed ing eed ied ies sses s ss y e ll").split()
ROOTS = "a ab tr tree trouble oat or hop fall fizz hiss tann size fil happ sk gener capt ration stat adopt depend yy by toy x9 1990".split()


def words():
    out = {w for s in SENTENCES for w in "".join(c if c.isascii() and c.isalnum() else " " for c in s.lower()).split()}
    out |= {r + s for r in ROOTS for s in SUFFIXES}
    return sorted(w for w in out if len(w) > 3)


def rouge():
    out = []
    for stem in (True, False):
        scorer = rouge_scorer.RougeScorer(["rouge1", "rougeL"], use_stemmer=stem)
        for ref in SENTENCES:
            for hyp in SENTENCES:
                s = scorer.score(ref, hyp)
                out.append([stem, SENTENCES.index(ref), SENTENCES.index(hyp), s["rouge1"].recall, s["rouge1"].fmeasure, s["rougeL"].recall, s["rougeL"].fmeasure])
    return out


def ks():
    out = []
    for na, nb, shift, levels in [(1, 1, 0, 0), (3, 5, 1, 0), (12, 12, 0.4, 0), (20, 30, 0.8, 0), (25, 40, 0.2, 7), (60, 45, 2.5, 0), (97, 101, 0.1, 0), (150, 150, 9, 0), (120, 200, 9, 0)]:
        a = [rng.gauss(shift, 1) for _ in range(na)]
        b = [rng.gauss(0, 1) for _ in range(nb)]
        if levels:
            a, b = [round(x * levels) / levels for x in a], [round(x * levels) / levels for x in b]
        r = scipy.stats.ks_2samp(a, b, method="exact")
        out.append({"a": a, "b": b, "d": r.statistic, "p": r.pvalue})
    return out


def auc():
    out = []
    for n, m, shift, levels in [(2, 3, 0, 0), (30, 40, 0.5, 0), (30, 40, 0.5, 3), (50, 50, 2, 1), (10, 10, 0, 0.5)]:
        a = [rng.gauss(shift, 1) for _ in range(n)]
        b = [rng.gauss(0, 1) for _ in range(m)]
        if levels:
            a, b = [round(x * levels) / levels for x in a], [round(x * levels) / levels for x in b]
        out.append({"members": a, "others": b, "auc": roc_auc_score([1] * n + [0] * m, a + b)})
    return out


def wilson():
    out = []
    for k, n in [(0, 10), (1, 10), (5, 10), (10, 10), (3, 400), (200, 400)]:
        ci = scipy.stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
        out.append([k, n, ci.low, ci.high])
    return out


def skew():
    return [[a, x, float(scipy.stats.skewnorm.logcdf(x, a))] for a in (0.0, 1.0, 4.0, -2.0, -0.5) for x in (-3.0, -1.0, 0.0, 0.5, 2.0)]


def main():
    stemmer = PorterStemmer()
    texts = SENTENCES + ["ab" * 400, "".join(chr(0x3B1 + i % 24) for i in range(300))]
    json.dump({
        "sentences": SENTENCES,
        "stems": [[w, stemmer.stem(w)] for w in words()],
        "rouge": rouge(),
        "ks": ks(),
        "auc": auc(),
        "wilson": wilson(),
        "skewnorm_logcdf": skew(),
        "zlib": [[t, len(zlib.compress(t.encode()))] for t in texts],
    }, sys.stdout, ensure_ascii=False, indent=0, default=lambda x: float(x) if isinstance(x, numpy.floating) else bool(x))
    print()


if __name__ == "__main__":
    main()
