//! What targets over one device share, though none knows of the others.

use crate::dm::DeviceNumber;
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// For each device number, one value of each type that somebody asked for, for as long as somebody holds it: where the
/// snapshots of a device and the target that its writes pass find each other.
#[derive(Debug, Default)]
pub struct Shared(Mutex<HashMap<(DeviceNumber, TypeId), Weak<dyn Any + Send + Sync>>>);

impl Shared {
    /// The device's value of that type; a new one when nobody holds it.
    pub fn of<T: Any + Send + Sync + Default>(&self, dev: DeviceNumber) -> Arc<T> {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        values.retain(|_, value| value.strong_count() > 0);
        let key = (dev, TypeId::of::<T>());
        let known = values.get(&key).and_then(Weak::upgrade).and_then(|value| value.downcast().ok());
        known.unwrap_or_else(|| {
            let new = Arc::new(T::default());
            let value: Arc<dyn Any + Send + Sync> = new.clone();
            values.insert(key, Arc::downgrade(&value));
            new
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_the_devices_for_as_long_as_it_is_held() {
        let shared = Shared::default();
        let dev = DeviceNumber::new(7, 1);
        let one: Arc<Mutex<u32>> = shared.of(dev);
        *one.lock().unwrap() = 5;
        assert!(Arc::ptr_eq(&one, &shared.of(dev)));
        assert!(!Arc::ptr_eq(&one, &shared.of(DeviceNumber::new(7, 2))));
        assert_eq!(*shared.of::<u32>(dev), 0, "another type is another value");
        drop(one);
        assert_eq!(*shared.of::<Mutex<u32>>(dev).lock().unwrap(), 0);
    }
}
