# SPDX-License-Identifier: Apache-2.0
"""For CAMEL without a network: its tokens are counted by words, since tiktoken would fetch its tables.

With DAYTONA_NAMES in the environment Daytona's SDK takes CAMEL's names of arguments, too.
"""
import os


class Encoding:
    def encode(self, text, **_):
        return text.split()

    def decode(self, tokens):
        return " ".join(tokens)


try:
    import tiktoken
except ImportError:
    pass
else:
    tiktoken.encoding_for_model = tiktoken.get_encoding = lambda *_, **__: Encoding()
if "DAYTONA_NAMES" in os.environ:
    import daytona_names
    daytona_names.take()
