"""What pages share. Whoever imports any of it has every control and every upload guarded."""

from pages.components import sound_values, uploads

sound_values.install()
uploads.keep_few()
