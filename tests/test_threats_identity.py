"""Threats of family A."""
from tests.support import Forger, World
from tests.support.forgery import APPROVED, Forgery

def test_x(world: World, forger: Forger) -> None:
    """."""
    import time
    t=time.time()
    f = Forgery(forger).submit(world.alice).approve(world.bob).push()
    print(time.time()-t); t=time.time()
    assert f.check() == APPROVED
    print(time.time()-t); t=time.time()
    f.event("complete", world.alice)
    f.land()
    print(time.time()-t); t=time.time()
    print(world.dave.maa("verify", "--format", "json"))
    print(time.time()-t); t=time.time()
    print(world.bob.maa("apply", "--format", "json"))
    print(time.time()-t); t=time.time()
    assert 0
