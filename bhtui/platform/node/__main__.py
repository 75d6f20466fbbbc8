from bhtui.platform.contract import main

from .service import Node

main(Node)
