"""The token that every command to the service needs, and where it is kept for this user."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import platformdirs

TOKEN_VARIABLE = "CELLSTATION_TOKEN"
DEFAULT_URL = "http://127.0.0.1:8765"


def token_path() -> Path:
    return platformdirs.user_config_path("cellstation") / "token"


def token() -> str:
    """From the environment, or from this user's file, which is written when it is first asked for."""
    if given := os.environ.get(TOKEN_VARIABLE):
        return given
    path = token_path()
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = secrets.token_urlsafe(32)
    # 0600 where the system knows it; elsewhere the user's own folder protects it.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(fresh + "\n")
    return fresh
