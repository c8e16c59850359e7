"""The whole search: it says what it played, on what, and fails if anything broke or is missing."""

import json
import subprocess
import sys
from collections import Counter

import pytest
from attrs import evolve

from campaign import __main__ as campaign
from campaign import histories
from campaign.figures import Figures
from campaign.parts import PARTS


def test_a_small_share_of_the_search_leaves_evidence(tmp_path):
    path = tmp_path / "made" / "evidence.json"
    command = [sys.executable, "-m", "campaign", "--slice", "--share", "0.02", "--only", "histories", "--out", str(path)]
    done = subprocess.run(command, cwd=campaign.ROOT, capture_output=True, text=True, check=False)
    evidence = json.loads(path.read_text())

    assert (0, "") == (done.returncode, done.stderr)
    assert {"logos-core", "logos-alpaca", "logos-ccxt", "logos-oanda", "alpaca-py", "ccxt", "oandapyV20"} < set(
        evidence["packages"]
    )
    found = evidence["parts"]["histories"]
    assert (8, 8, 8, 0, [], 3 / 8) == tuple(found[name] for name in ("wanted", "runs", "distinct", "breaches", "broken", "bound"))
    assert found["faults"] == sum(found["faults_by_kind"].values()) > 8
    assert [] == evidence["lacks"]


def test_every_run_is_given_out_once():
    for part in PARTS:
        given = [run for first, count in campaign.chunks(part, part.slice + 1) for run in range(first, first + count)]
        assert list(range(part.slice + 1)) == given


def test_what_is_missing_is_told():
    part = evolve(PARTS[0], falls_short=lambda figures: f"{len(figures.traces)} is too few")
    lacks = campaign.short([(part, 5)], {part.name: Figures(runs=4, traces={"a"})})

    assert [f"{part.name}: 4 of 5 were played", f"{part.name}: 1 is too few"] == lacks


@pytest.mark.parametrize("lack", ["broken", "lacking", None])
def test_it_fails_if_anything_broke_or_is_missing(lack, tmp_path, monkeypatch, capsys):
    figures = Figures(runs=0 if lack == "lacking" else 80, traces={str(trace) for trace in range(80)})
    figures.broken += ["seed 3: two orders"] if lack == "broken" else []
    monkeypatch.setattr(campaign, "search", lambda wanted: {part.name: figures for part, _ in wanted})
    path = tmp_path / "evidence.json"

    assert (0 if lack is None else 1) == campaign.main(["--slice", "--share", "0.1", "--only", "histories", "--out", str(path)])
    found = json.loads(path.read_text())["parts"]["histories"]
    assert (1 if lack == "broken" else 0) == found["breaches"]
    assert (3 / 80 if lack is None else None) == found["bound"]
    assert str(path) in capsys.readouterr().out


@pytest.mark.parametrize("share", ["0", "-0.5", "1.1", "much"])
def test_a_share_that_is_none_is_refused(share, capsys):
    with pytest.raises(SystemExit) as ended:
        campaign.main(["--share", share])

    assert 2 == ended.value.code
    assert "--share" in capsys.readouterr().err


def test_figures_add_up():
    figures = Figures(runs=1, traces={"a"}, faults=Counter(lost=1), counts=Counter(deaths=2), broken=["seed 1"])
    figures.add(Figures(runs=2, traces={"a", "b"}, faults=Counter(lost=2, late=1), counts=Counter(deaths=3), independent=False))
    told = figures.told()

    assert (3, 2, 4, {"late": 1, "lost": 3}, 5) == tuple(
        told[name] for name in ("runs", "distinct", "faults", "faults_by_kind", "deaths")
    )
    assert (1, ["seed 1"], None) == (told["breaches"], told["broken"], told["bound"])


@pytest.mark.parametrize(
    ("figures", "bound"), [(Figures(), None), (Figures(runs=4, independent=False), None), (Figures(runs=4), 0.75)]
)
def test_only_independent_runs_without_a_breach_bound_the_rate_of_breaches(figures, bound):
    assert bound == figures.told()["bound"]


def test_what_once_broke_is_played_again_as_it_was_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(histories, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(histories.History, "_check_first_byte", lambda self, name: self.broken.append(f"{name} leaves"))
    path = histories.keep(1)
    steps = len(json.loads(path.read_text())["steps"])
    broken = histories.kept()[path.stem].broken
    monkeypatch.undo()

    assert 0 < steps < len(histories.script(1))
    assert all(" leaves" in said for said in broken)
    assert broken


def test_what_once_broke_holds_now():
    assert {} == {name: told.broken for name, told in histories.kept().items() if told.broken}
