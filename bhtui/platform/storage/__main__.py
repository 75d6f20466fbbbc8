from bhtui.platform.contract import main

from .service import Storage

main(Storage)
