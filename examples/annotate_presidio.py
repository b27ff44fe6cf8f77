#!/usr/bin/env python3
"""Marks personal data with Microsoft Presidio, for `unlearn run … --annotator 'python3 annotate_presidio.py'`.

Reads {"text": …} and writes {"spans": [{"start", "end", "type"}]}, a line for a line. With the name of an installed spaCy model
(`annotate_presidio.py en_core_web_sm`) people and places are found too; without one, what patterns and check digits find.
"""
import json
import logging
import sys

from presidio_analyzer import AnalyzerEngine, RecognizerRegistry


logging.getLogger("tldextract").setLevel(logging.CRITICAL)  # it asks the network for a list, and has one of its own


def engine(model):
    if model:
        from presidio_analyzer.nlp_engine import NlpEngineProvider

        found = {"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": model}]}
        return AnalyzerEngine(nlp_engine=NlpEngineProvider(nlp_configuration=found).create_engine())
    import spacy
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    class Blank(SpacyNlpEngine):  # words, but no names
        def __init__(self):
            super().__init__()
            self.nlp = {"en": spacy.blank("en")}

    registry = RecognizerRegistry(supported_languages=["en"])
    nlp = Blank()
    registry.load_predefined_recognizers(nlp_engine=nlp, languages=["en"])
    registry.remove_recognizer("SpacyRecognizer")
    return AnalyzerEngine(nlp_engine=nlp, registry=registry, supported_languages=["en"])


def main():
    analyzer = engine(sys.argv[1] if len(sys.argv) > 1 else None)
    for line in sys.stdin:
        found = analyzer.analyze(text=json.loads(line)["text"], language="en")
        spans = [{"start": r.start, "end": r.end, "type": r.entity_type} for r in found if r.score >= 0.35]
        print(json.dumps({"spans": spans}), flush=True)


if __name__ == "__main__":
    main()
