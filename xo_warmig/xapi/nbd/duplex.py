"""A socket that is asked and answers, as NBD's is."""

from collections.abc import Sequence

from xo_warmig.xapi.streams import SocketStream, stopped


class SocketDuplex(SocketStream):
    """A connection that is asked and answers. Fits ``disks.streams.ByteDuplex``."""

    def readinto(self, view: memoryview) -> int:
        """Fill ``view`` whole unless the connection ends first; see ``ByteSource``."""
        with self._errors(), self._using:
            if self._closed:
                raise stopped()
            count = self._receive(view)
            if self._closed:
                raise stopped()
            return count

    def writev(self, buffers: Sequence[bytes | bytearray | memoryview]) -> None:
        """Send all of all buffers, in order; see ``ByteSink``."""
        with self._errors(), self._using:
            if self._closed:
                raise stopped()
            self._send(buffers)
