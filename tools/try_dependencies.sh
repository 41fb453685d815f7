#!/usr/bin/env bash
# Runs the core suite on other versions than those of constraints.txt:
#
#   tools/try_dependencies.sh lowest-direct    the lowest that pyproject.toml allows
#   tools/try_dependencies.sh highest          the newest there are
#
# into build/RESOLUTION. Left out are:
#
#   windows, and the site   what napari wants of its own packages differs from version to
#                           version; napari is not installed
#   frames that end GDCM    which frames do is another question in each version of it
set -euo pipefail
cd "$(dirname "$0")/.."

resolution=${1:?lowest-direct or highest}
venv=build/$resolution
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive

command -v uv >/dev/null || { python3 -m venv build/uv; build/uv/bin/pip install --quiet uv; }
PATH=$PATH:$PWD/build/uv/bin
uv venv --quiet --clear --seed --python "${PYTHON:-python3}" "$venv"
uv pip install --quiet --python "$venv" --resolution "$resolution" \
    --editable ".[cluster,dicom,mri,onnx,video,zea]" --group test
uv pip freeze --python "$venv" | tee "$venv/versions.txt"
"$venv/bin/python" -m pytest -p no:pytest-qt -m "not gui" \
    --ignore tests/_napari --ignore tests/documents \
    --deselect tests/io/dicom/test_decoding.py::test_a_frame_that_ends_its_process_is_refused_and_the_next_read
