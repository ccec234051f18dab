"""The limits of the API, and who may open its socket."""

from typing import Final

import msgspec

from xo_warmig.config import Config

MOST_FRAME_BYTES: Final = 100 * 1024 * 1024  # what npm's ws takes by default, on both of XO's ends


class ApiSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Calls and bytes in flight are counted per connection; bytes are those of the requests."""

    allowed_origins: list[str] = []
    trusted_proxies: list[str] = []
    most_connections_per_address: int = 200
    most_calls_in_flight: int = 1000
    most_bytes_in_flight: int = 2 * MOST_FRAME_BYTES
    most_bytes_before_sign_in: int = 1024 * 1024
    most_frame_bytes_before_sign_in: int = 2 * 1024 * 1024  # a larger one is not even received
    most_large_answers: int = 8  # being made, or not yet taken, on all connections together
    most_large_answers_per_user: int = 2
    slow_reader_seconds: float = 30.0
    filter_seconds: float = 3.0  # for all objects together
    task_linger_seconds: float = 30.0
    keep_pins_seconds: float = 30.0

    @staticmethod
    def of(config: Config) -> "ApiSettings":
        return ApiSettings(
            allowed_origins=config.allowed_origins,
            trusted_proxies=config.trusted_proxies,
            most_connections_per_address=config.max_connections_per_address,
        )
