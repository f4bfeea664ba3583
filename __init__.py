"""Babelscope: pretrain a multilingual language model and watch its languages come to share neurons."""
