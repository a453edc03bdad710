# SPDX-License-Identifier: Apache-2.0
"""What OpenHands' RemoteRuntimeBuilder asks for. Runs in its virtual environment.

Its Dockerfile fetches an editor with wget from the internet, in every way to build there is. The image with OpenHands'
dependencies, which it reuses where it finds one, is made here of the host's tools, with a wget that makes up the archive.
"""
import io
import os
import pathlib
import tarfile
import tempfile

import cases
import httpx
from openhands.core.exceptions import AgentRuntimeBuildError
from openhands.runtime.builder.remote import RemoteRuntimeBuilder
from openhands.runtime.utils import runtime_build

URL, TOKEN = os.environ["SERVER"], os.environ["TOKEN"]
BASE = "cay/base:1"
DEPENDENCIES = r"""FROM host
COPY --chmod=755 wget /usr/local/bin/wget
"""
WGET = r"""#!/bin/sh
for url; do :; done
name=$(basename "$url") && dir=${name%.tar.gz} && mkdir -p "$dir/bin/remote-cli" &&
echo '#!/bin/sh' > "$dir/bin/remote-cli/openvscode-server" && tar -czf "$name" "$dir" && rm -r "$dir"
"""

api = httpx.Client(base_url=URL, headers={"Authorization": f"Bearer {TOKEN}", "X-API-Key": TOKEN}, timeout=120)
builder = RemoteRuntimeBuilder(URL, TOKEN)
os.environ["OH_RUNTIME_RUNTIME_IMAGE_REPO"] = api.get("/registry_prefix").json()["registry_prefix"] + "/runtime"


def lock_image():
    return f"{runtime_build.get_runtime_image_repo()}:oh_v{runtime_build.get_version()}_{runtime_build.get_hash_for_lock_files(BASE)}"


def tar(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


def run(image, command):
    box = api.post("/v1/sandboxes", json={"image": image}).json()["id"]
    output = api.post(f"/v1/sandboxes/{box}/actions/run", json={"command": command}).json()["output"]
    api.delete(f"/v1/sandboxes/{box}")
    return output


def test_an_image_exists_once_it_is_built():
    assert not builder.image_exists(lock_image())
    made = api.post("/v1/builds", params={"tags": lock_image()}, content=tar({"Dockerfile": DEPENDENCIES, "wget": WGET}))
    assert made.status_code == 201, made.text
    assert builder.image_exists(lock_image())


def test_a_runtime_image_is_built_with_openhands_own_code_in_it():
    image = runtime_build.build_runtime_image(BASE, builder)
    assert image.startswith(lock_image() + "_") and builder.image_exists(image)
    said = run(image, "id -un openhands; ls /openhands/code/openhands/__init__.py /openhands/.openvscode-server/bin/remote-cli/code; "
                      "sha256sum < /openhands/code/poetry.lock; env | grep -c ^POETRY_VIRTUALENVS_PATH=/openhands/poetry")
    assert said.splitlines()[0] == "openhands" and said.count("No such file") == 0 and said.splitlines()[-1] == "1", said


def test_what_is_there_is_not_built_again():
    image = runtime_build.build_runtime_image(BASE, builder)
    assert builder.image_exists(image)


def test_extra_dependencies_are_a_step():
    with tempfile.TemporaryDirectory() as folder:
        runtime_build.prep_build_folder(pathlib.Path(folder), lock_image(), runtime_build.BuildFromImageType.LOCK,
                                        "echo extra > /tmp/extra", True)
        name = f"{runtime_build.get_runtime_image_repo()}:extra"
        assert builder.build(folder, [name, name + "2"]) == name
    assert builder.image_exists(name + "2")
    assert run(name, "cat /tmp/extra") == "extra\n"


def test_a_build_that_fails_raises_with_the_reason():
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "Dockerfile").write_text("FROM host\nRUN exit 9\n")
        try:
            builder.build(folder, ["failing:1"])
        except AgentRuntimeBuildError as e:
            assert "non-zero code: 9" in str(e), e
        else:
            raise AssertionError("nothing was raised")
    assert not builder.image_exists("failing:1")


cases.run_all(globals())
