"""Versions of XAPI's API, major and minor, by the release that they came with.

Source: the release table of ocaml/idl/datamodel_types.ml.
"""

from typing import Final, TypeAlias

ApiVersion: TypeAlias = tuple[int, int]

OF_7_0: Final = (2, 5)
OF_7_2: Final = (2, 7)
OF_7_3: Final = (2, 8)
OF_7_4: Final = (2, 9)
OF_8_0: Final = (2, 12)
OF_8_1: Final = (2, 14)
OF_8_3: Final = (2, 20)
