# conan create packaging/conan          (run from a checkout)
import os

from conan import ConanFile
from conan.tools.cmake import CMake, CMakeToolchain
from conan.tools.files import copy


class Selfpatch(ConanFile):
    name = "selfpatch"
    version = "0.1.0"
    description = "SelfPatch self-supervised pretraining of vision transformers, header-only C++20"
    license = "Apache-2.0"
    topics = ("deep-learning", "vision-transformer", "self-supervised", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    no_copy_source = True

    def export_sources(self):
        root = os.path.join(self.recipe_folder, "..", "..")
        for pattern in ("CMakeLists.txt", "LICENSE", "cmake/*", "include/*", "kernels/*"):
            copy(self, pattern, src=root, dst=self.export_sources_folder)

    def requirements(self):
        if not self.conf.get("user.selfpatch:system_eigen", default=False, check_type=bool):
            self.requires("eigen/3.4.0", transitive_headers=True)

    def package_id(self):
        self.info.clear()

    def generate(self):
        toolchain = CMakeToolchain(self)
        for part in ("PROGRAMS", "TESTS", "BENCH"):
            toolchain.cache_variables[f"SELFPATCH_{part}"] = False
        toolchain.generate()

    def build(self):
        CMake(self).configure()

    def package(self):
        CMake(self).install()
        copy(self, "LICENSE", src=self.source_folder, dst=os.path.join(self.package_folder, "licenses"))

    def package_info(self):
        # The project's own package file is used: it knows the components.
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
        self.cpp_info.builddirs = [os.path.join("share", "cmake", "selfpatch")]
        self.cpp_info.set_property("cmake_find_mode", "none")
