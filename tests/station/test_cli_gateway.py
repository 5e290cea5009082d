"""cellstation gateway serve: what it says, and what it does not take."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from drivers.gateway import service
from drivers.gateway.protocol import LostHost
from station.cli import app
from station.cli.gateway import _setting


def test_it_serves_with_a_token_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[service.GatewayService] = []

    def run(given: service.GatewayService, host: str, port: int, ready) -> None:
        served.append(given)
        ready(host, port)

    monkeypatch.setattr(service, "run", run)
    result = CliRunner().invoke(app, ["gateway", "serve", "fake", "--port", "48800", "--lost-host", "leave"])
    assert result.exit_code == 0
    assert f"token: {served[0].token}" in result.stderr and len(served[0].token) > 20
    assert "simulated potentiostat (simulated) at 127.0.0.1:48800" in result.stderr
    assert "without a word of the station for 60 s, everything is left as it is" in result.stderr
    assert served[0].lost_host is LostHost.LEAVE


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["ivium"], "there is no back end 'ivium'"),
        (["fake", "--set", "cells"], "not NAME=VALUE"),
        (["fake", "--set", "colour=red"], "colour"),
        (["fake", "--after", "0.1"], "1 at least"),
        (["fake", "--lost-host", "pray"], "pray"),
    ],
)
def test_bad_usage(arguments: list[str], why: str) -> None:
    result = CliRunner().invoke(app, ["gateway", "serve", *arguments])
    assert result.exit_code == 2
    assert why in result.stderr.replace("\n", " ").replace("│", "")


def test_what_a_setting_is_follows_from_how_it_is_written() -> None:
    said = ["unverified=true", "unverified=false", "channels=1,2", "channels=3", "point_s=2.5", "address=USB0"]
    assert [_setting(text)[1] for text in said] == [True, False, "1,2", 3, 2.5, "USB0"]
