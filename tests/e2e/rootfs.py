# SPDX-License-Identifier: Apache-2.0
"""Small root file systems made of this machine's own programs, and archives of them as other tools write them."""
import gzip
import hashlib
import io
import json
import pathlib
import re
import subprocess
import tarfile

PROGRAMS = ("sh", "cat", "ls", "id", "env", "echo", "test", "touch", "rm", "mkdir", "sleep", "stat", "pwd", "head", "wc")


def _with_libraries(program):
    path = pathlib.Path(subprocess.run(["which", program], capture_output=True, text=True, check=True).stdout.strip())
    yield f"bin/{program}", path
    for library in re.findall(r"(/\S+)", subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout):
        yield library.lstrip("/"), pathlib.Path(library)


def base_files(programs=PROGRAMS):
    """name → content of a tree in which a shell runs."""
    files = {}
    for program in programs:
        for name, path in _with_libraries(program):
            files[name] = path.read_bytes()
    files["etc/passwd"] = b"root:x:0:0:root:/root:/bin/sh\nagent:x:1000:1000::/home/agent:/bin/sh\n"
    files["etc/group"] = b"root:x:0:\nagent:x:1000:\n"
    files["etc/os-release"] = b"ID=tiny\n"
    return files


def tar(files, directories=(), links=None):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in directories:
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(info)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.mode, info.size = 0o755, len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return buffer.getvalue()


def digest(data):
    return hashlib.sha256(data).hexdigest()


def _config(layers, config):
    return json.dumps({"architecture": "amd64", "os": "linux", "config": config,
                       "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest(x) for x in layers]}}).encode()


def docker_save(layers, tags, config=None):
    """What docker save wrote for years: NAME.json, HASH/layer.tar, manifest.json."""
    text = _config(layers, config or {})
    files = {f"{digest(text)}.json": text}
    paths = []
    for i, layer in enumerate(layers):
        paths.append(f"{i:064x}/layer.tar")
        files[paths[-1]] = layer
    files["manifest.json"] = json.dumps([{"Config": f"{digest(text)}.json", "RepoTags": tags, "Layers": paths}]).encode()
    return tar(files)


def oci_layout(layers, name, config=None, compress=False, lie=False):
    """An OCI image layout, as skopeo, buildkit or podman write it."""
    text = _config(layers, config or {})
    blobs = [gzip.compress(x, mtime=0) if compress else x for x in layers]
    files = {f"blobs/sha256/{digest(text)}": text}
    for blob in blobs:
        files[f"blobs/sha256/{digest(blob)}"] = blob + (b"\0" * 1024 if lie else b"")
    kind = "application/vnd.oci.image.layer.v1.tar" + ("+gzip" if compress else "")
    manifest = json.dumps({
        "schemaVersion": 2, "config": {"digest": "sha256:" + digest(text), "size": len(text)},
        "layers": [{"mediaType": kind, "digest": "sha256:" + digest(b), "size": len(b)} for b in blobs]}).encode()
    files[f"blobs/sha256/{digest(manifest)}"] = manifest
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [{
        "digest": "sha256:" + digest(manifest), "size": len(manifest),
        "annotations": {"org.opencontainers.image.ref.name": name}}]}).encode()
    files["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
    return tar(files)
