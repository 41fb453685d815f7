#!/usr/bin/env bash
# Sets this folder up; called by the Makefile.
#
#   tools/setup.sh python    .venv with this package, napari and the test tools
#   tools/setup.sh windows   what a napari window wants from a Debian system: X11 and
#                            OpenGL libraries, and Xvfb where there is no screen
#   tools/setup.sh browser   Chromium and its driver, in which the page of a report is tried
#   tools/setup.sh lint      the linters, into .venv; likewise release and docs
#
# Debian packages are installed only when they are missing, as root or by a sudo that
# asks no password; where neither is allowed, one line says what to install by hand.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
VENV=.venv

say() { echo "setup: $*" >&2; }
fail() { say "$*"; exit 1; }

# debian_install WHY PACKAGE...
debian_install() {
    local why=$1 sudo=""
    shift
    command -v apt-get >/dev/null ||
        fail "$why; install what Debian calls: $*"
    if [ "$(id -u)" != 0 ]; then
        sudo="sudo -n"
        $sudo true 2>/dev/null ||
            fail "$why and this user may not install it; run: sudo apt-get install $*"
    fi
    say "$why: installing the Debian packages $*"
    $sudo apt-get update -qq || say "going on with the package lists there are"
    $sudo env DEBIAN_FRONTEND=noninteractive \
        apt-get install -qq --no-install-recommends "$@" >/dev/null ||
        fail "apt-get could not install $*"
}

pip_install() {
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
}

python_environment() {
    command -v "$PYTHON" >/dev/null ||
        fail "there is no $PYTHON; install Python 3.11 or newer"
    local version
    version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$PYTHON is Python $version; name one >= 3.11, as in: make test PYTHON=python3.13"
    # Debian ships the venv module in a package of its own.
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null ||
        debian_install "Python $version has no venv module" "python$version-venv"

    if ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
        "$PYTHON" -m venv --clear "$VENV"
    fi
    say "installing into $VENV (some minutes the first time)"
    pip_install --upgrade "pip>=25.1"
    pip_install --constraint constraints.txt --editable ".[all]" --group test
}

# The Qt platform plugin and the OpenGL widget name every library that is wanted.
window_libraries_found() {
    local qt
    qt=$(echo "$VENV"/lib/python3*/site-packages/PyQt6/Qt6)
    ! ldd "$qt"/plugins/platforms/libqxcb.so "$qt"/lib/libQt6OpenGLWidgets.so.6 |
        grep "not found" >/dev/null
}

window_libraries() {
    [ "$(uname)" = Linux ] || return 0
    local missing=()
    window_libraries_found || missing+=(
        libdbus-1-3 libegl1 libfontconfig1 libgl1 libglib2.0-0 libxcb-cursor0
        libxcb-icccm4 libxcb-keysyms1 libxcb-shape0 libxcb-xkb1 libxkbcommon-x11-0
    )
    [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] || command -v xvfb-run >/dev/null ||
        missing+=(xvfb xauth)
    [ ${#missing[@]} = 0 ] ||
        debian_install "windows need system libraries" "${missing[@]}"
}

browser() {
    [ "$(uname)" = Linux ] || return 0
    command -v chromium >/dev/null && command -v chromedriver >/dev/null ||
        debian_install "the page of a report is tried in a browser" \
            chromium chromium-driver
}

case ${1:-} in
python) python_environment ;;
windows) window_libraries ;;
browser) browser ;;
lint | release | docs) pip_install --constraint constraints.txt --group "$1" ;;
*) fail "usage: tools/setup.sh python|windows|browser|lint|release|docs" ;;
esac
