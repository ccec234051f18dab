"""``python -m xo_warmig`` is ``xo-warmig``."""

from xo_warmig.cli import main

if __name__ == "__main__":
    main()
