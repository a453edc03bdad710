# SPDX-License-Identifier: Apache-2.0
"""clerk: looks at files for the executor: {"lint": path, "diff": text} and {"convert": path}."""
import cay_documents
import cay_guest as guest
import cay_lint


def lint(body):
    has_linter, issues = cay_lint.introduced(body["lint"], body["diff"])
    return {"linted": has_linter,
            "issues": [{"line": line, "column": column, "message": message[:500]} for line, column, message in issues]}


def answer(request, body):
    try:
        if "lint" in body:
            request.result(lint(body))
        else:
            request.result({"markdown": cay_documents.markdown(body["convert"])})
    except FileNotFoundError as why:
        request.error("not_found", why)
    except (OSError, ValueError, cay_documents.Unreadable) as why:
        request.error("unsupported", why)
    except Exception as why:  # a library stumbled over a file: that file's matter
        request.error("internal", "%s: %s" % (type(why).__name__, why))


for request_, body_ in guest.messages():
    answer(request_, body_)
