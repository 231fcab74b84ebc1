#!/usr/bin/env bash
# Gradescope runs this once, as root, when it builds the image that submissions are graded in.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive UV_PYTHON_INSTALL_DIR=/opt/python UV_NO_CACHE=1
source=/autograder/source
uv=/opt/uv/bin/uv

chmod -R go= "$source"  # answers and secret: a second door behind the sandbox
apt-get update
apt-get install -y --no-install-recommends ca-certificates libseccomp2 python3-venv

# The image's own Python only installs uv, which brings the Python that the scores were tried with.
python3 -m venv /opt/uv
/opt/uv/bin/pip install --disable-pip-version-check --no-cache-dir uv=={{ uv }}
"$uv" python install {{ python }}
"$uv" venv --python {{ python }} /opt/autograder
"$uv" pip install --python /opt/autograder/bin/python --torch-backend cpu --compile-bytecode --no-deps \
    -r "$source/requirements.lock"
"$uv" pip install --python /opt/autograder/bin/python --compile-bytecode --no-deps --no-index "$source/{{ wheel }}"
"$uv" pip check --python /opt/autograder/bin/python
