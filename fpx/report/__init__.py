"""What every command returns: frozen dataclasses that know how to become plain JSON data.

Codes are hex strings, exact values decimal strings, measured floats JSON numbers with the
non-finite ones as the strings "inf", "-inf" and "nan". Nothing here prints or draws: `fpx.render`
does. Here is what `fpx decode` and `fpx encode` need; the other reports are in modules of their
own, which load with the commands that make them.
"""
