"""The datasets that have a name, and what is known of them before they are read."""

from zoo_pipeline.dataset_facts import DatasetFacts

# Declared, so that a zoo can be planned without reading the data; loading checks the content against it.
BUILT_IN = {
    facts.name: facts
    for facts in (
        DatasetFacts(
            "digits", (1, 8, 8), 10, 1_437, 360, "232bef233e772000f04ccef4872bc7eb8deb755027d005586edd6d542b00942c"
        ),
        DatasetFacts(
            "tetris", (1, 4, 4), 4, 1_000, 500, "9192278fa3d1fc50f0aa260cd9dbc2488e3e5c74365d3976dd540a8b7ed923cd"
        ),
        DatasetFacts("mnist", (1, 28, 28), 10, 60_000, 10_000),
        DatasetFacts(
            "mnist-10k",
            (1, 28, 28),
            10,
            8_000,
            2_000,
            "e5b468f2ac8490aa509ba02df844023c32432e44d4839cadca19ca4e50001c2b",
        ),
        DatasetFacts("fashion-mnist", (1, 28, 28), 10, 60_000, 10_000),
        DatasetFacts("svhn", (3, 32, 32), 10, 73_257, 26_032),
        DatasetFacts("usps", (1, 16, 16), 10, 7_291, 2_007),
        DatasetFacts("cifar10", (3, 32, 32), 10, 50_000, 10_000),
        DatasetFacts("cifar100", (3, 32, 32), 100, 50_000, 10_000),
        DatasetFacts("stl10", (3, 96, 96), 10, 5_000, 8_000),
        DatasetFacts("tiny-imagenet", (3, 64, 64), 200, 100_000, 10_000),
        DatasetFacts("eurosat", (3, 64, 64), 10, 21_600, 5_400),
    )
}
