"""The playground's words."""

DIGITS_ONLY = (
    "The playground is for digits. Choose **Digits (MNIST)** under *Data set* in the sidebar to draw some."
)
EXPLAINED = (
    "Draw on the paper, take a test digit, or photograph one of your own: *it sees* shows it centred. **Drag the dashed sticker**; pull ε up to let "
    "an attacker change the image, for each network by itself. *It looks at*: orange pixels speak for what it reads, blue ones against."
)
