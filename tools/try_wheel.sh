#!/usr/bin/env bash
# Tries the wheel in dist/ as a user would: an environment of its own, the README's
# line, the doctor, and a picture that is despeckled. EXTRAS=all by default.
set -euo pipefail
cd "$(dirname "$0")/.."

wheel=$(echo "$PWD"/dist/napari_usflow-*.whl)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cd "$folder"
unset PYTHONPATH

venv/bin/python -m pip install --quiet "${wheel}[${EXTRAS:-all}]"
du -sh venv | cut -f1
venv/bin/usflow --version
venv/bin/usflow doctor
venv/bin/usflow demo --no-gui --output demo
test -s demo/metrics.csv
