from bhtui.platform.contract import main

from .service import Identity

main(Identity)
