"""Sessions of a calibration on disk: whole or not at all, and what is wrong with a file is said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from calibration.data import Area, Meter, Reference
from calibration.procedure import Sample, advance, begin
from station.calibrating.session import Session, SessionError, Sessions, plan_of
from station.calibration_views import PlanOrder, SessionOrder, Stage

ORDER = SessionOrder(
    sensor="s1",
    meter="dmm",
    gauge="press",
    area=Area.disc(14e-3),
    plan=PlanOrder(full_load_N=100.0),
)


def session(name: str = "20260101T000000-s1") -> Session:
    plan = plan_of(ORDER.plan, driven=False, reseats=False)
    state, _ = advance(plan, begin(plan, 1.0), Sample(2.0, 0.1, 0.1, None, open=True))
    return Session(
        id=name,
        order=ORDER,
        plan=plan,
        reference=Reference(name="press"),
        meter=Meter(name="dmm"),
        began=1.0,
        simulated=True,
        state=state,
    )


def test_a_session_comes_back_as_it_was(tmp_path: Path) -> None:
    sessions, one = Sessions(tmp_path / "sessions"), session()
    sessions.save(one)
    sessions.save(one)
    assert sessions.load(one.id) == one
    assert [kept.id for kept in sessions.all()] == [one.id]
    assert [path.name for path in sessions.folder.iterdir()] == [f"{one.id}.json"], "nothing is left beside it"
    assert one.view().stage is Stage.ZERO and one.view().steps == len(one.plan.steps())


def test_what_was_kept_stays_where_the_new_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions, one = Sessions(tmp_path), session()
    sessions.save(one)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        sessions.save(one.model_copy(update={"began": 99.0}))
    assert sessions.load(one.id) == one and [kept.began for kept in sessions.all()] == [1.0]


def test_a_file_that_cannot_be_used_is_named_and_hides_no_other(tmp_path: Path) -> None:
    sessions, one = Sessions(tmp_path), session()
    sessions.save(one)
    text = (tmp_path / f"{one.id}.json").read_text(encoding="utf-8")
    (tmp_path / "cut.json").write_text(text[: len(text) // 2], encoding="utf-8")
    (tmp_path / "odd.json").write_text(text.replace('"simulated":true', '"simulated":"perhaps"'), encoding="utf-8")
    with pytest.raises(SessionError, match=r"cut\.json: .*the file was changed by hand or cut"):
        sessions.load("cut")
    with pytest.raises(SessionError, match=r"odd\.json: simulated"):
        sessions.load("odd")
    assert [kept.id for kept in sessions.all()] == [one.id]


@pytest.mark.parametrize("name", ["../secret", "a/b", "", ".hidden", "nothing"])
def test_a_name_that_is_none_is_not_looked_for_elsewhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(KeyError, match=r"no calibration session|is no name"):
        Sessions(tmp_path).load(name)


def test_a_plan_has_a_fiftieth_of_full_load_for_its_least_and_says_what_cannot_be() -> None:
    plan = plan_of(PlanOrder(full_load_N=100.0), driven=True, reseats=False)
    assert plan.forces_N[0] == 2.0 and plan.driven and not plan.reseats
    with pytest.raises(SessionError, match="this procedure cannot be: the least load, 200 N, is not below"):
        plan_of(PlanOrder(full_load_N=100.0, least_load_N=200.0), driven=False, reseats=False)
