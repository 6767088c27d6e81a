"""Labels to print in tests."""

from dataclasses import replace

from printer.label import Label

APPLES = Label(
    title="POMMES GALA",
    number="n° 104",
    details="France · cat. I · bio FR-BIO-01",
    weights="Net\u00a00,482\u00a0kg   Tare\u00a00,126\u00a0kg   2,95\u00a0€/kg",
    barcode="2100104004824",
    price="1,42\u00a0€",
    price_note="prix indicatif",
    footer="La Coop, 12 rue des Lilas · 20/11/2026 18:42 · B1",
)
CARROTS = replace(
    APPLES,
    title="Carottes",
    number="",
    details="",
    weights="Net\u00a01,250\u00a0kg",
    barcode="2200145012342",
    price="",
    price_note="",
)
