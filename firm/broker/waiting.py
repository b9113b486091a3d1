"""Waiting for something to happen, but not for ever.

By `asyncio.timeout`: in Python 3.11 `asyncio.wait_for` swallows a cancellation that comes together with what
is waited for, and a task that was told to end would go on.
"""

import asyncio


async def within(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event came within so many seconds."""
    try:
        async with asyncio.timeout(max(seconds, 0.0)):
            await event.wait()
    except TimeoutError:
        return False
    return True
