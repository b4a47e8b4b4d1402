"""A pickle machine that makes nothing but plain containers, numbers, text and stand-ins.

`pickle.Unpickler` with an own `find_class` would run nothing either, but gives a file power over memory and time: one
opcode of five bytes (LONG_BINPUT) has it take 64 GiB for its memo, another (BYTEARRAY8) any number of bytes before it
looks whether they are there, and a dictionary's key that is a tuple of tuples is hashed for ever. Here every number is
held against the bytes that are left, the memo is a dictionary, keys are names and numbers, nothing recurses, and the
number of opcodes is limited.
"""

import struct
from collections.abc import Callable
from typing import Any

from zoo_pipeline.formats.stand_ins import Inert, Named, Storage, dictionary_key, named, storage
from zoo_pipeline.formats.state import FileRefused

MOST_BYTES = 64 << 20  # of a pickle
MOST_OPCODES = 1 << 22
_MOST_INTEGER_BYTES = 64

_DOUBLE = struct.Struct(">d")
_INTEGER = struct.Struct("<i")
_SIZES = {1: struct.Struct("<B"), 2: struct.Struct("<H"), 4: struct.Struct("<I"), 8: struct.Struct("<Q")}


class PickleMachine:
    """One pickle on its way.

    Attributes:
        at: the next byte.
        storages: what the pickle referred to, by key.
        floats_at: where the eight bytes of each float lie; on them nothing that is made of a pickle depends.
    """

    def __init__(self, data: bytes | memoryview, at: int = 0) -> None:
        self._data = data
        self.at = at
        self.storages: dict[str, Storage] = {}
        self.floats_at: list[int] = []
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def load(self) -> Any:
        """What the pickle holds; afterwards `at` is behind it.

        Raises:
            FileRefused: truncated, damaged, too large, or it names what no checkpoint needs.
        """
        data, opcodes, stack, marks, memo = self._data, _OPCODES, self._stack, self._marks, self._memo
        at = self.at
        try:
            for _ in range(MOST_OPCODES):
                opcode = data[at]
                at += 1
                if opcode == _PUT_BYTE:  # the four of which most pickles have most
                    memo[data[at]] = stack[-1]
                    at += 1
                elif opcode == _BYTE:
                    stack.append(data[at])
                    at += 1
                elif opcode == _GET_BYTE:
                    stack.append(memo[data[at]])
                    at += 1
                elif opcode == _MARK:
                    marks.append(len(stack))
                elif opcode == _STOP:
                    self.at = at
                    return stack[-1]
                else:
                    self.at = at
                    opcodes[opcode](self)
                    at = self.at
        except FileRefused:
            raise
        except KeyError:
            raise FileRefused("damaged: the pickle has an unknown opcode, or looks up what it never kept") from None
        except (IndexError, ValueError, TypeError, AttributeError, struct.error) as error:
            raise FileRefused(f"truncated: the pickle cannot be read ({type(error).__name__})") from None
        raise FileRefused(f"too large: the pickle has more than {MOST_OPCODES:,} opcodes")

    def _take(self, size: int) -> bytes:
        start = self.at
        self.at = start + size
        if self.at > len(self._data):
            raise IndexError
        return bytes(self._data[start : self.at])

    def _number(self, size: int) -> int:
        found: int = _SIZES[size].unpack_from(self._data, self.at)[0]
        self.at += size
        return found

    def _line(self) -> str:
        start = self.at
        limit = min(len(self._data), start + 1_024)
        found = bytes(self._data[start:limit]).index(b"\n")
        self.at = start + found + 1
        return str(self._data[start : start + found], "utf-8")

    def _since_mark(self) -> list[Any]:
        mark = self._marks.pop()
        found = self._stack[mark:]
        del self._stack[mark:]
        return found

    def _nothing(self) -> None:
        pass

    def _frame(self) -> None:
        self.at += 8

    def _protocol(self) -> None:
        self.at += 1

    def _pop(self) -> None:
        self._stack.pop()

    def _pop_mark(self) -> None:
        self._since_mark()

    def _double(self) -> None:
        self._stack.append(_DOUBLE.unpack_from(self._data, self.at)[0])
        self.floats_at.append(self.at)
        self.at += 8

    def _signed(self) -> None:
        self._stack.append(_INTEGER.unpack_from(self._data, self.at)[0])
        self.at += 4

    def _short(self) -> None:
        self._stack.append(self._number(2))

    def _long(self, size: int) -> None:
        length = self._number(size)
        if length > _MOST_INTEGER_BYTES:
            raise FileRefused("damaged: the pickle holds an integer of no sane size")
        self._stack.append(int.from_bytes(self._take(length), "little", signed=True))

    def _text(self, size: int) -> None:
        self._stack.append(str(self._take(self._number(size)), "utf-8"))

    def _usual_text(self) -> None:
        start = self.at + 4
        self.at = end = start + _SIZES[4].unpack_from(self._data, self.at)[0]
        if end > len(self._data):
            raise IndexError
        self._stack.append(str(self._data[start:end], "utf-8"))

    def _old_text(self, size: int) -> None:
        self._stack.append(str(self._take(self._number(size)), "latin-1"))

    def _octets(self, size: int) -> None:
        self._stack.append(self._take(self._number(size)))

    def _put(self, size: int) -> None:
        self._memo[self._number(size)] = self._stack[-1]

    def _memoize(self) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _get(self, size: int) -> None:
        self._stack.append(self._memo[self._number(size)])

    def _tuple(self) -> None:
        stack, mark = self._stack, self._marks.pop()
        stack[mark:] = [tuple(stack[mark:])]

    def _short_tuple(self, size: int) -> None:
        found = tuple(self._stack[-size:])
        if len(found) != size:
            raise IndexError
        self._stack[-size:] = [found]

    def _append(self) -> None:
        self._extend([self._stack.pop()])

    def _appends(self) -> None:
        self._extend(self._since_mark())

    def _extend(self, items: list[Any]) -> None:
        to = self._stack[-1]
        if type(to) is list:
            to += items
        elif type(to) is not Inert:
            raise TypeError

    def _set_item(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._update([key, value])

    def _set_items(self) -> None:
        self._update(self._since_mark())

    def _update(self, items: list[Any]) -> None:
        to = self._stack[-1]
        if type(to) is dict:
            for key, value in zip(items[::2], items[1::2], strict=True):
                to[key if type(key) is str else dictionary_key(key)] = value
        elif type(to) is not Inert:
            raise TypeError

    def _global(self) -> None:
        self._stack.append(named(self._line(), self._line()))

    def _stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if type(name) is not str or type(module) is not str:
            raise TypeError
        self._stack.append(named(module, name))

    def _call(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if type(function) is not Named or type(arguments) is not tuple:
            raise TypeError
        self._stack.append(function.made(arguments))

    def _call_with_names(self) -> None:
        self._stack.pop()
        self._call()

    def _instance(self) -> None:
        function = named(self._line(), self._line())
        self._stack.append(function.made(tuple(self._since_mark())))

    def _object(self) -> None:
        function, *arguments = self._since_mark()
        if type(function) is not Named:
            raise TypeError
        self._stack.append(function.made(tuple(arguments)))

    def _build(self) -> None:
        """The state is forgotten: of a tensor and a dictionary it says nothing, and nothing else has one here."""
        self._stack.pop()
        if not self._stack:
            raise IndexError

    def _refer(self) -> None:
        found = storage(self._stack.pop())
        before = self.storages.setdefault(found.key, found)
        if before is not found and before[:4] != found[:4]:
            raise FileRefused("damaged: two tensors say that one storage has other elements")
        self._stack.append(found)

    def _extension(self) -> None:
        raise FileRefused("refused: would look up what this process has registered with copyreg")


_STOP, _BYTE, _PUT_BYTE, _GET_BYTE, _MARK = b".Kqh("


def _constant(value: Any) -> Callable[[PickleMachine], None]:
    return lambda machine: machine._stack.append(value)


def _fresh(make: Callable[[], Any]) -> Callable[[PickleMachine], None]:
    return lambda machine: machine._stack.append(make())


def _sized(method: Callable[[PickleMachine, int], None], size: int) -> Callable[[PickleMachine], None]:
    return lambda machine: method(machine, size)


_M = PickleMachine
_OPCODES: dict[int, Callable[[PickleMachine], None]] = {
    ord(opcode): method
    for opcode, method in {
        "\x80": _M._protocol, "\x95": _M._frame, "0": _M._pop, "1": _M._pop_mark,
        "N": _constant(None), "\x88": _constant(True), "\x89": _constant(False), ")": _constant(()),
        "G": _M._double, "J": _M._signed, "M": _M._short,
        "\x8a": _sized(_M._long, 1), "\x8b": _sized(_M._long, 4),
        "\x8c": _sized(_M._text, 1), "X": _M._usual_text, "\x8d": _sized(_M._text, 8),
        "U": _sized(_M._old_text, 1), "T": _sized(_M._old_text, 4),
        "C": _sized(_M._octets, 1), "B": _sized(_M._octets, 4), "\x8e": _sized(_M._octets, 8),
        "\x96": _sized(_M._octets, 8),
        "r": _sized(_M._put, 4), "\x94": _M._memoize,
        "j": _sized(_M._get, 4),
        "}": _fresh(dict), "]": _fresh(list), "\x8f": _fresh(lambda: Inert("set")),
        "t": _M._tuple, "\x85": _sized(_M._short_tuple, 1), "\x86": _sized(_M._short_tuple, 2),
        "\x87": _sized(_M._short_tuple, 3),
        "a": _M._append, "e": _M._appends, "\x90": _M._appends, "s": _M._set_item, "u": _M._set_items,
        "c": _M._global, "\x93": _M._stack_global, "R": _M._call, "\x81": _M._call, "\x92": _M._call_with_names,
        "i": _M._instance, "o": _M._object, "b": _M._build, "Q": _M._refer,
        "\x82": _M._extension, "\x83": _M._extension, "\x84": _M._extension,
    }.items()
}  # fmt: skip
