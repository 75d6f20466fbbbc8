from bhtui.platform.contract import main

from .service import Indexer

main(Indexer)
