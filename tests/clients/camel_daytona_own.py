# SPDX-License-Identifier: Apache-2.0
"""CAMEL's own test and example of its DaytonaRuntime. Runs in CAMEL's virtual environment.

The example runs twice: as it is, where CAMEL's call never leaves it (camel_daytona.py says why), and with the SDK taking
the names of arguments that CAMEL gives (camel_shims).
"""
import camel_tests
import client
from camel_model import Model
from camel_tests import EXAMPLES, TESTS, run_example, run_tests


def main():
    if not camel_tests.SOURCE:
        client.tell("test_daytona_runtime.py, example daytona_runtime.py", "skipped", "CAMEL_SRC names no checkout of CAMEL")
        return
    with Model() as model:
        run_tests(f"{TESTS}/test_daytona_runtime.py", camel_tests.environment(model))
        path = f"{EXAMPLES}/daytona_runtime.py"
        run_example(path, camel_tests.environment(model), "$10.20", "sample_function", "Upload failed")
        run_example(path, {**camel_tests.environment(model), "DAYTONA_NAMES": "1"}, "$10.20", "sample_function",
                    "result=63", remark="with the SDK's upload_file taking CAMEL's names of its arguments")


main()
