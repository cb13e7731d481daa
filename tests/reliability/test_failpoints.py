"""Every registered failpoint is placed where the list says, once, and nothing else calls one."""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from embeddings.failpoints import FAILPOINTS, SIDE_EFFECTS
from embeddings.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def placed() -> list[tuple[str, str, str, int]]:
    """File, function, name and line of every call of `failpoint`; a name that is no literal is its own source."""
    found = []
    for room in ("dags", "plugins", "embeddings"):
        for file in sorted((ROOT / room).rglob("*.py")):
            tree = ast.parse(file.read_text())
            for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
                for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
                    if isinstance(call.func, ast.Name) and call.func.id == "failpoint":
                        given = call.args[0]
                        name = given.value if isinstance(given, ast.Constant) else ast.unparse(given)
                        found.append((str(file.relative_to(ROOT)), function.name, str(name), call.lineno))
    return found


def test_every_failpoint_is_placed_once_where_the_list_says_and_none_is_unregistered() -> None:
    found = placed()
    assert sorted((file, name) for file, _, name, _ in found) == sorted(
        (file, f"{effect}.{side}") for effect, (file, _) in SIDE_EFFECTS.items() for side in ("before", "after")
    )


def test_before_and_after_enclose_one_effect_in_one_function() -> None:
    lines = {name: (function, line) for _, function, name, line in placed()}
    for effect in SIDE_EFFECTS:
        (before_in, before), (after_in, after) = lines[f"{effect}.before"], lines[f"{effect}.after"]
        assert before_in == after_in, effect
        assert before + 1 < after, f"nothing lies between the failpoints of {effect}"


@pytest.mark.parametrize("wrong", ["pointer.swap", "pointer.swap.before:0", "nowhere.before", ":1"])
def test_a_failpoint_that_is_not_there_is_refused_by_the_settings(wrong: str) -> None:
    with pytest.raises(ValidationError, match="no failpoint"):
        Settings(failpoint=wrong)


@pytest.mark.parametrize(("passing", "reached"), [(":1", 0), ("", 0), (":3", 2), (":4", 3)])
def test_a_process_dies_at_the_passing_that_was_named(passing: str, reached: int) -> None:
    code = (
        "from embeddings.failpoints import arm, failpoint\n"
        f"arm('pointer.swap.before{passing}')\n"
        "for n in range(3):\n"
        f"    arm('pointer.swap.before{passing}'); arm(None); failpoint('pointer.swap.after')\n"
        "    failpoint('pointer.swap.before'); print(n, flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout.split() == [str(n) for n in range(reached)]
    assert done.returncode == (0 if reached == 3 else -signal.SIGKILL)
    assert ("failpoint pointer.swap.before: killed" in done.stderr) == (reached < 3)


def test_there_are_two_failpoints_for_each_side_effect() -> None:
    assert len(set(FAILPOINTS)) == 2 * len(SIDE_EFFECTS)
