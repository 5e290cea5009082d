#!/usr/bin/env bash
# Creates the environment from the lock, and installs what Python's venv and Qt need from the system
# where it is missing: with apt where that is allowed, otherwise by printing the exact command.
set -euo pipefail
python=$1
venv=$2

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "cellstation needs Python 3.11 or newer; $("$python" --version) is too old." >&2
    echo "Install one (Debian 12, Ubuntu 24.04 have it) and run: make PYTHON=/path/to/python3.11" >&2
    exit 1
fi

PATH="$PATH:/usr/sbin:/sbin" # where ldconfig is, for accounts that are not root
missing=()
need() { missing+=("$@"); }

"$python" -c 'import ensurepip, venv' 2>/dev/null || need python3-venv

has_library() { ldconfig -p 2>/dev/null | grep -q "$1"; }
has_library 'libEGL\.so\.1' || need libegl1
has_library 'libGL\.so\.1' || need libgl1
has_library 'libxkbcommon\.so\.0' || need libxkbcommon0
has_library 'libfontconfig\.so\.1' || need libfontconfig1
has_library 'libdbus-1\.so\.3' || need libdbus-1-3
has_library 'libglib-2\.0\.so\.0' || need libglib2.0-0
has_library 'libxcb-icccm\.so\.4' || need libxcb-icccm4
has_library 'libxcb-keysyms\.so\.1' || need libxcb-keysyms1
has_library 'libxcb-cursor\.so\.0' || need libxcb-cursor0
has_library 'libxcb-image\.so\.0' || need libxcb-image0
has_library 'libxcb-render-util\.so\.0' || need libxcb-render-util0
has_library 'libxcb-shape\.so\.0' || need libxcb-shape0
has_library 'libxkbcommon-x11\.so\.0' || need libxkbcommon-x11-0
[ -d /usr/share/fonts/truetype/dejavu ] || need fonts-dejavu-core

if [ ${#missing[@]} -gt 0 ] && command -v apt-get >/dev/null; then
    install="apt-get install -y --no-install-recommends ${missing[*]}"
    if [ "$(id -u)" = 0 ]; then
        sudo=()
    elif sudo -n true 2>/dev/null; then
        sudo=(sudo)
    else
        sudo=(none)
    fi
    if [ "${sudo[0]:-}" = none ]; then
        echo "These system packages are missing and this account may not install them. Run:" >&2
        echo "    sudo apt-get update && sudo $install" >&2
        echo "and then the same make command again." >&2
        exit 1
    fi
    echo "installing from the system: ${missing[*]}"
    "${sudo[@]}" apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive "${sudo[@]}" $install >/dev/null
fi

"$python" -m venv "$venv"
echo "installing Python packages (some minutes the first time)"
"$venv/bin/python" -m pip install --quiet --require-hashes -r requirements.lock
"$venv/bin/python" -m pip install --quiet --no-deps --no-build-isolation --editable .
