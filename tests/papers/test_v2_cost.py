"""Which network was meant by v2: no reading of the paper has its printed cost."""

from measure import traced, value


def test_no_reading_of_rethinkings_v2_has_its_printed_cost():
    """v3 is the control: the paper prints less than its released network takes."""

    def excess(row, **options):
        printed = value(f"rethinking/table-3/{row}/cost")
        return traced("inception_v3", **options).macs / 1e9 / printed

    control = excess("inception-v2-bn-auxiliary")
    readings = [
        excess("inception-v2", **options)
        for options in (
            {"layout": "table1"},
            {"layout": "table1", "stem": "7x7"},
            {"stem": "7x7"},
            {"five_by_five": False},
        )
    ]
    assert round(control, 2) == 1.19
    assert round(min(readings), 2) == 1.39
    assert round(min(readings) / control, 2) == 1.17
