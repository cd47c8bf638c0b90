"""Files that cnnlint once answered wrongly, each with its right answer."""
