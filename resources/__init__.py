"""Files that ship with the program: icons, fonts, translations."""
