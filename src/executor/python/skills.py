# SPDX-License-Identifier: Apache-2.0
"""cay_skills"""


def names():
    return {}
