"""Bytes to values and back, without I/O: VHD, XAPI's sparse stream, CBT bitmaps, NBD, and which parts of a buffer are zeros.

Readers are generators that are fed with bytes (see ``stream``). Whatever the bytes, they raise FormatError and nothing else, and hold
no more than their documented bound in memory.
"""
