from opening import opened


def test_the_train_page_says_what_a_preset_differs_in():
    app = opened("train", preset="lipschitz")
    assert not app.exception
    assert "As *standard, no attacker*, but `training.lipschitz` 0.0001." in [
        element.value for element in app.caption
    ]
