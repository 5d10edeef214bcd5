"""Rules, and what is refused as one."""

import json
from pathlib import Path
from typing import Any

import pytest

from topodelin.refinement import Grammar

WORD = {"start": "S", "terminals": {"0": ["A"], "1": ["B"]}, "splits": [["S", "A", "B", 0]]}


def test_a_file_gives_the_grammar(tmp_path: Path) -> None:
    path = tmp_path / "grammar.json"
    path.write_text(json.dumps(WORD | {"renamings": [["A", "B"]]}))
    grammar = Grammar.from_json(path)
    assert grammar == Grammar("S", {0: ["A"], 1: ["B"]}, (("A", "B"),), (("S", "A", "B", 0),))
    assert grammar.symbols == ("A", "B", "S") and grammar.axes == 1


def test_renamings_follow_each_other_and_may_run_in_circles() -> None:
    grammar = Grammar("A", {0: ["C"]}, [("A", "B"), ("B", "C"), ("C", "A"), ("D", "A")])
    index = {name: number for number, name in enumerate(grammar.symbols)}
    assert grammar.renamed[index["D"], index["C"]] and grammar.renamed[index["B"], index["A"]]
    assert not grammar.renamed[index["A"], index["D"]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": "T"}, "`start` names 'T', which no rule produces; known are A, B, S"),
        ({"start": 3}, "`start` must be a name, got 3"),
        ({"renamings": [["A", "X"]]}, "`renamings[0]` names 'X', which no rule produces"),
        ({"splits": [["S", "A", "X", 0]]}, "`splits[0]` names 'X', which no rule produces"),
        ({"splits": [["S", "A", "B"]]}, "`splits[0]` must be three names and an axis"),
        ({"splits": [["S", "A", "B", -1]]}, "`splits[0]` must be three names and an axis"),
        ({"splits": [["S", "A", "B", True]]}, "`splits[0]` must be three names and an axis"),
        ({"splits": 7}, "`splits` must be a list of rules, got 7"),
        ({"renamings": [["A"]]}, "`renamings[0]` must be two names (A, B), got ['A']"),
        ({"renamings": [[["A"], "B"]]}, "`renamings[0]` must be two names (A, B)"),
        ({"terminals": {"0": "A"}}, "`terminals[0]` must be a list of names, got 'A'"),
        ({"terminals": {"x": ["A"]}}, "`terminals`: labels must be whole numbers, got 'x'"),
        ({"terminals": {}}, "`terminals` must say for one label or more"),
        ({"terminals": [["0", "A"]]}, "`terminals` must say for one label or more"),
        ({"rules": []}, "unknown key 'rules'; known are start, terminals, renamings, splits"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = tmp_path / "grammar.json"
    path.write_text(json.dumps(WORD | changes))
    with pytest.raises(ValueError) as raised:
        Grammar.from_json(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert message in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "must be JSON"), ("[]", "must be an object with `start` and `terminals`")],
)
def test_what_is_no_grammar_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "grammar.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        Grammar.from_json(path)
