//! A device that is lost under its arrays: errors that say so, no panic and no hang.

mod support;

use support::{gpu, Both};
use wengert_gpu::Gpu;
use wengert_ops::{Backend, DType, ErrorKind, Operand, Row};

/// One test: the device is this process' only one.
#[test]
fn every_call_says_so() {
    let Some(gpu) = gpu() else { return };
    let x = Both::of(gpu, &[1.0, 2.0, 3.0], &[3], DType::F32);
    let y = Both::zeros(gpu, &[3], DType::F32);
    let add = || gpu.elementwise(Row::Add, DType::F32.compute(), &[Operand::Array(x.on_gpu()); 2], y.out_gpu());
    add().unwrap();
    y.contents();
    // Some work is queued when it happens.
    add().unwrap();
    gpu.lose();
    let mut raw = [0; 12];
    for round in 0..2 {
        let error = gpu.download(&y.gpu, 0, &mut raw).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Runtime, "{error}");
        assert!(error.message().contains("was lost") && error.message().contains("new process"), "{round}: {error}");
        for result in [
            gpu.finish(),
            add(),
            gpu.empty_cache(),
            gpu.upload(&[1; 8]).map(|_| ()),
            gpu.allocate(1 << 20).map(|_| ()),
            gpu.nonzero(x.on_gpu()).map(|_| ()),
            Gpu::open(0).map(|_| ()),
        ] {
            let error = result.unwrap_err();
            assert!(error.message().contains("was lost"), "{round}: {error}");
        }
    }
}
