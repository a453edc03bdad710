# SPDX-License-Identifier: Apache-2.0
"""CAMEL calls upload_file with names of arguments that Daytona's SDK does not have; take() makes the SDK have them."""
from daytona_sdk._sync.filesystem import FileSystem

upload_file = FileSystem.upload_file


def by_names(self, src=None, dst=None, timeout=1800, file=None, remote_path=None, local_path=None):
    return upload_file(self, file if file is not None else src if src is not None else local_path, remote_path or dst, timeout)


def take(wanted=True):
    FileSystem.upload_file = by_names if wanted else upload_file
