"""The one exception by which a handler refuses a call the way XAPI does. What codes exist is XAPI's business, not this module's."""


class XapiFailure(Exception):
    """An API error: ``details`` is the code and its parameters, as a client sees them in ``ErrorDescription``."""

    def __init__(self, code: str, *params: str) -> None:
        super().__init__(code, *params)
        self.code = code
        self.params = params

    @property
    def details(self) -> list[str]:
        return [self.code, *self.params]

    def __str__(self) -> str:
        """XAPI's own way of printing an error, seen on its HTML error pages: ``CODE: [ p1; p2 ]``."""
        return f"{self.code}: [ {'; '.join(self.params)} ]"
