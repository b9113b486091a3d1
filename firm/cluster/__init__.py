"""The machines the firm runs on: checked, brought up and taken down over ssh, without a Ray of our own."""
