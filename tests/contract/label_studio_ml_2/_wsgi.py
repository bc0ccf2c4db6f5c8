"""The script that a server of 2.x is started with, as its command `create` makes it."""

import argparse
import logging

from label_studio_ml.api import init_app
from model import NewModel  # type: ignore[import-not-found]

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("-p", "--port", type=int, default=9090)
    parser.add_argument("--host", default="0.0.0.0")  # noqa: S104 - as there
    parser.add_argument("--basic-auth-user")
    parser.add_argument("--basic-auth-pass")
    args = parser.parse_args()
    logging.basicConfig(level="DEBUG")
    app = init_app(model_class=NewModel, basic_auth_user=args.basic_auth_user, basic_auth_pass=args.basic_auth_pass)
    app.run(host=args.host, port=args.port)
else:
    app = init_app(model_class=NewModel)
