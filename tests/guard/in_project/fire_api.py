"""The API behind the guard in test_fire.py: tells what the interpreter holds in memory."""

import ctypes
import gc

import pyodide_js

from guard import reply

served = 0  # a new interpreter would count from 0 again


async def handle(request, who, env):
    global served
    served += 1
    if request.js_object.method == "GET":
        return reply({"served": served})
    return reply(memory())


class Mallinfo(ctypes.Structure):
    """As in malloc.h."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def memory():
    """The objects that gc knows, the bytes in use, and all of WebAssembly's.

    gc knows neither strings nor numbers, and WebAssembly grows by megabytes. Pyodide's Python has
    no allocator of its own, so what malloc has given out is all that is kept, whoever keeps it.
    """
    mallinfo = ctypes.CDLL(None).mallinfo
    mallinfo.restype = Mallinfo
    gc.collect()
    return {
        "objects": len(gc.get_objects()),
        "bytes": mallinfo().uordblks,
        "webassembly": pyodide_js._module.HEAP8.length,
    }
