# SPDX-License-Identifier: Apache-2.0
"""An MCP server made with the SDK's FastMCP, over HTTP: usage: mcp_far.py streamable-http|sse PORT"""
import asyncio
import sys

from mcp.server.fastmcp import Context, FastMCP

server = FastMCP("far", host="127.0.0.1", port=int(sys.argv[2]))
counts = {}


@server.tool()
def add(a: int, b: int = 1) -> int:
    """Adds."""
    return a + b


@server.tool()
async def count(by: int, context: Context) -> str:
    """Counts, for each session."""
    await context.info("counting")
    await context.report_progress(1, 2)
    mine = id(context.session)
    counts[mine] = counts.get(mine, 0) + by
    return f"so far {counts[mine]}"


@server.tool()
async def sleep(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "slept"


@server.tool()
def boom() -> str:
    raise ValueError("no luck")


server.run(transport=sys.argv[1])
