from bhtui.platform.contract import main

from .service import Ledger

main(Ledger)
